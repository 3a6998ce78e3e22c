"""What a machine needs to run Rampart on a real SNP processor: checks as data, over a host or a recorded one."""
