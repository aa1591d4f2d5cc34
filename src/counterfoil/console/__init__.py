"""The console: pages for people over the public API. It has no powers of its own: it asks as its visitor, like anybody else."""
