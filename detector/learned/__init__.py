"""Models that go on learning from honest traffic, and what keeps the promise while they do.

    kinds, oneclass     which River models may serve; one learned, frozen, and learned again from what taught it
    halves              half-space trees as arrays, once they have learned
    looks               when an entity is looked at, and the one scale of the looks
    teaching, witnesses who teaches; whose looks are kept, to set the scale and to judge
    successor, takeover the model of the next epoch with its own promise; whom it judges
    drift, newcomers    which signal moved; whether the promise still covers the clients that come
    made, imagined      queries that nobody asked, and what would have been answered: what the joint signal is taught

Everything here is pure: what spans clients comes in at ticks of log time, and the order inside a tick is of no account.
"""
