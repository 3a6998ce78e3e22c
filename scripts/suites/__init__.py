"""Public TPM test suites, run against vtpm-server and against swtpm."""
