"""The modules of the monorepo, one folder each."""
