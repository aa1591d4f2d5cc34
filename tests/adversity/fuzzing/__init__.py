"""Coverage-guided fuzzing (atheris over libFuzzer) of everything that reads what came from outside.

`python -m tests.adversity.fuzzing TARGET --runs N --seed S` is one run in a process of its own; `--input FILE` plays one
input again, and `--grow` keeps in corpus/TARGET what reached something new.
"""
