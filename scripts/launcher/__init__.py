"""How scripts/launch starts a machine: options, QEMU's command line, running it, what came of it."""
