"""The deployment, played on this machine: an AWS emulator, an identity provider, and the stack deployed to them."""
