"""Programs that watch a stream as other people's clients do: an npm package each, or what a browser brings."""
