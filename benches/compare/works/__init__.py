"""The workloads. Each module gives GROUPS: (rows of the table it fills, function of a session)."""

from works import bulk, dbench, durable, metadata, pages, smallfiles, tree

GROUPS = [
    *bulk.GROUPS,
    *pages.GROUPS,
    *durable.GROUPS,
    *metadata.GROUPS,
    *smallfiles.GROUPS,
    *tree.GROUPS,
    *dbench.GROUPS,
]
