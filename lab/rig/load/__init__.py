"""Load tests of a whole deployment: capacity, overload and soak."""
