"""samestory: says which story each article of any number of news feeds belongs to."""

__version__ = "0.1.0"
