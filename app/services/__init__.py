"""What we do. Knows the ports, neither HTTP nor SQL."""
