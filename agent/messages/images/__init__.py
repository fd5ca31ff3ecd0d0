"""The image of a query: loaded, made as a person sees it, resized to an arm's resolution."""

from agent.messages.images.loading import load
from agent.messages.images.normalising import normalise
from agent.messages.images.resizing import fit

__all__ = ["fit", "load", "normalise"]
