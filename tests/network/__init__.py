"""What is true of the Router, the Access Points and what their jobs compute."""
