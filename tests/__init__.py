"""What is true of the gateway and of the network it carries."""
