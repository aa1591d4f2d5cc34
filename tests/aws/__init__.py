"""The deployment on AWS, checked without an account: on an emulator, and in the template."""
