"""Numbers of an independent implementation, stored with the script that made them."""
