"""How good the stories are: clustering metrics and the labelled-stream runner."""
