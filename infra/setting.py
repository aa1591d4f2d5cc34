"""Prints one setting of settings.toml, for the Makefile: python setting.py SECTION NAME."""

import sys
import tomllib
from pathlib import Path

print(tomllib.loads(Path(__file__).with_name("settings.toml").read_text())[sys.argv[1]][sys.argv[2]])
