"""The image of a query: loaded, made as a person sees it, masked, resized to an arm's resolution."""

from agent.messages.images.decoding import Decoder
from agent.messages.images.loading import load, read_image
from agent.messages.images.mask import Mask
from agent.messages.images.normalising import normalise
from agent.messages.images.preparing import PreparedImage, View
from agent.messages.images.resizing import fit

__all__ = ["Decoder", "Mask", "PreparedImage", "View", "fit", "load", "normalise", "read_image"]
