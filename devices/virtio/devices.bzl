"""THE list of virtio devices: a folder each, in the order in which a guest finds them."""

VIRTIO_DEVICES = [
    "balloon",
    "block",
    "net",
]
