"""The operator's pages: what is happening now, what is refused, one passcode's story, what is due, and whether all is well."""
