"""What may be laid around interface and ports to see requests one by one: an access log, and traces. Off unless switched on."""
