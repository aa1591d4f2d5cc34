"""What may be laid around interface and ports to see requests one by one: an access log. Off unless switched on."""
