"""A Router and the Access Points it coordinates: another program than the gateway, and another party."""
