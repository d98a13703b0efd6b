"""The gateway: REST and Server-Sent Events in front of a Router, with one job history for an organisation."""
