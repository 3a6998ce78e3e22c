"""Runs QEMU to its end, and leaves the terminal as it was."""

import ctypes
import signal
import socket
import subprocess
import sys
import termios

from . import outcome
from .qmp import Control


class Interrupted(Exception):
    """A signal asks this launcher to end."""


def die_with_parent():
    """No QEMU outlives its launcher, whatever ends that."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def terminal_state():
    """The settings of the terminal, to be put back; None without one."""
    try:
        return termios.tcgetattr(sys.stdin.fileno())
    except (termios.error, OSError, ValueError):
        return None


def restore_terminal(state):
    """Undoes QEMU's raw mode, also after a QEMU that was killed."""
    if state is not None:
        termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, state)


def end(process):
    """Ends QEMU, gently first."""
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def raise_interrupted(_signal, _frame):
    """The handler of the signals that end the launcher."""
    raise Interrupted


def run(command_with, timeout=None, stdout=None):
    """Runs a command; returns an outcome. command_with makes it from the number of the open socket on which QEMU
    speaks its machine protocol: a pair of sockets leaves no file behind, whatever ends this. stdout as subprocess
    takes it."""
    state = terminal_state()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, raise_interrupted)
    own, of_qemu = socket.socketpair()
    command = command_with(of_qemu.fileno())
    try:
        process = subprocess.Popen(command, stdout=stdout, preexec_fn=die_with_parent, pass_fds=(of_qemu.fileno(),))
    except OSError as error:
        print(f"launch: {command[0]} does not start: {error.strerror}", file=sys.stderr)
        return outcome.FAILED
    finally:
        of_qemu.close()
    try:
        return wait(process, Control(own), timeout)
    except Interrupted:
        end(process)
        return outcome.INTERRUPTED
    finally:
        restore_terminal(state)


def wait(process, control, timeout):
    """Waits for QEMU, and tells how it ended."""
    try:
        status = process.wait(timeout=timeout)
    except subprocess.TimeoutExpired:
        registers = control.registers()
        end(process)
        if registers:
            # Up to the floating-point unit: what tells where it was.
            print(f"\nlaunch: the processor when the time was up:{registers.split('FCW=')[0]}", file=sys.stderr)
        return outcome.TIMED_OUT
    control.join()
    return outcome.of_qemu(status, control.shutdown_reason)
