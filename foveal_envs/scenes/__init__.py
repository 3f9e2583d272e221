"""What there is to see: objects of convex parts and discs, laid out from a key, never rasterised for sensing."""
