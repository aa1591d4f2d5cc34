"""The HTTP interface without HTTP's machinery: routes, who is calling, answers. No framework, no socket, no AWS."""
