"""Workers: a supervisor claims runs, and a fresh process trains each attempt."""
