"""Makes documents of inarvl from its code: reference pages, pictures, and the links of the site."""
