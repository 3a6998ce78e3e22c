"""What came of a run: the exit statuses of scripts/launch."""

POWERED_OFF = 0
FAILED = 1
GUEST_RESET = 3
QEMU_ENDED = 4
GUEST_TERMINATED = 33
GUEST_STUCK = 35
IMAGE_REFUSED = 37
MACHINE_ERROR = 39
SCENARIO_UNUSED = 41
INVARIANT_VIOLATED = 45
SCENARIO_REFUSED = 47
TIMED_OUT = 124
INTERRUPTED = 130

# The emulated machine says so where it sees the reset itself.
QEMU_GUEST_RESET = 43

# From GUEST_TERMINATED to SCENARIO_REFUSED the numbers are those with which the
# emulated machine ends QEMU (isa-debug-exit: a value v gives 2v + 1).
TEXT = {
    POWERED_OFF: "the guest powered off",
    FAILED: "nothing was started: see the message",
    GUEST_RESET: "the guest asked for a reset, and a guest starts again only by a new launch",
    QEMU_ENDED: "QEMU ended in some other way: see its message",
    GUEST_TERMINATED: "the guest was terminated at its own request: see the reason above",
    GUEST_STUCK: "the guest was stuck: see the machine's explanation above",
    IMAGE_REFUSED: "the emulated machine refused the image: see the reason above",
    MACHINE_ERROR: "the emulated machine found an error of its own: see its message above",
    SCENARIO_UNUSED: "a point that the scenario names was never reached",
    INVARIANT_VIOLATED: "the guest's memory is in a state that must never be: see the machine's words above",
    SCENARIO_REFUSED: "the scenario or an option cannot be read, or asks for what cannot be done: see the reason above",
    TIMED_OUT: "the guest was still running when the time was up",
    INTERRUPTED: "interrupted",
}


def help_text():
    """The table of statuses, for --help."""
    return "exit status:\n" + "\n".join(f"  {code:<4}{text}" for code, text in TEXT.items())


def of_qemu(status, shutdown_reason):
    """The outcome of a QEMU that ended by itself.

    status is its exit status (negative for a signal), shutdown_reason the reason
    of QMP's SHUTDOWN event or None.
    """
    if status == 0:
        if shutdown_reason == "guest-shutdown":
            return POWERED_OFF
        if shutdown_reason == "guest-reset":
            return GUEST_RESET
        return QEMU_ENDED
    if status == QEMU_GUEST_RESET:
        return GUEST_RESET
    if GUEST_TERMINATED <= status <= SCENARIO_REFUSED and status in TEXT:
        return status
    return QEMU_ENDED
