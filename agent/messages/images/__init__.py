"""The image of a query: loaded, made as a person sees it, resized to an arm's resolution."""

from agent.messages.images.decoding import Decoder
from agent.messages.images.loading import load
from agent.messages.images.normalising import normalise
from agent.messages.images.preparing import PreparedImage
from agent.messages.images.resizing import fit

__all__ = ["Decoder", "PreparedImage", "fit", "load", "normalise"]
