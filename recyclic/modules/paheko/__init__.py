"""paheko: books every closed till session in Paheko, once."""
