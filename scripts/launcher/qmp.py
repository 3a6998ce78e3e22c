"""A small client of QEMU's machine protocol: why QEMU ended, and what the processor was doing."""

import json
import socket
import threading
import time


class Control:
    """Listens to QEMU's events in a thread of its own."""

    def __init__(self, path):
        self.path = path
        self.shutdown_reason = None
        self._answers = []
        self._changed = threading.Condition()
        self._socket = None
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _connect(self):
        """QEMU makes its socket a moment after it starts."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(self.path)
                return connection
            except OSError:
                connection.close()
                time.sleep(0.01)
        return None

    def _listen(self):
        self._socket = self._connect()
        if self._socket is None:
            return
        try:
            self._send("qmp_capabilities")
            for line in self._socket.makefile("r"):
                self._take(json.loads(line))
        except (OSError, ValueError):
            pass

    def _take(self, message):
        with self._changed:
            if message.get("event") == "SHUTDOWN":
                self.shutdown_reason = message["data"].get("reason")
            elif "return" in message:
                self._answers.append(message["return"])
            self._changed.notify_all()

    def _send(self, command, **arguments):
        request = {"execute": command, "arguments": arguments}
        self._socket.sendall(json.dumps(request).encode() + b"\n")

    def registers(self):
        """QEMU's text about the processor's registers, or an empty text."""
        if self._socket is None:
            return ""
        with self._changed:
            before = len(self._answers)
            try:
                self._send("human-monitor-command", **{"command-line": "info registers"})
            except OSError:
                return ""
            self._changed.wait_for(lambda: len(self._answers) > before, timeout=5)
            return str(self._answers[-1]) if len(self._answers) > before else ""

    def join(self):
        """After QEMU has ended: waits for the last events."""
        self._thread.join(timeout=2)
