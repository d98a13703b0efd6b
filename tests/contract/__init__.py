"""What we expect of a Router, asked of the one we carry."""
