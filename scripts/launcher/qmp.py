"""A small client of QEMU's machine protocol: why QEMU ended, and what the processor was doing."""

import json
import threading


class Control:
    """Listens to QEMU's events in a thread of its own."""

    def __init__(self, connection):
        self.shutdown_reason = None
        self._answers = []
        self._changed = threading.Condition()
        self._socket = connection
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
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
