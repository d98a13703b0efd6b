"""The gateway's services and a Router that may do anything, in whatever order."""
