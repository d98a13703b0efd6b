"""Who and what the jobs of a past are about."""

TEAMS = ("globex", "mercy", "lakeside", "initech", "umbrella", "northside")
OWNERS = tuple(
    f"{name}@globex"
    for name in (  # noqa: SIM905  (a list would be a page)
        "ada ann ben bob cleo carl dora dan edith emil fay finn gina gus hana hugo ida ivan jana jon "
        "kira karl lena luis mara max nora nils olga otto pia paul rita rolf sara sven tess tom uma vera"
    ).split()
)
VISITORS = ("guest-one@globex", "guest-two@globex", "guest-three@globex")
OPERATIONS = (
    "REGRESSION",
    "PRIVATE_SET_INTERSECTION",
    "RANDOM_FOREST_TRAIN",
    "XGBOOST_TRAIN",
    "FEDERATED_LEARNING_PROTOCOL",
    "BLIND_LEARNING",
    "BLIND_JOIN",
    "BLIND_QUERY",
    "PSI_VERTICAL_KMEANS_TRAIN",
)
RARE_OPERATION = "DISTRIBUTED_INFERENCE"
PROJECTS = tuple(f"project-{number:02}" for number in range(1, 31))
NIGHTLY = ("refresh", "overlap", "scores")
RARE_NAMES = ("quarterly audit lighthouse", "zebrafish imaging pilot", "trial-obsidian-moth", "Größenvergleich Übersee")
RARE_ERROR = "checksum of shard 0xfeedface differs"
WORDS = (  # noqa: SIM905  (a list would be a page)
    "amber anchor aspen basil beacon birch cedar cinder clover cobalt coral copper crane delta ember falcon fern "
    "flint garnet ginger harbor hazel heron indigo iris ivory jade jasper juniper kestrel lagoon lark laurel lily "
    "linden lotus maple marble meadow mercury mint nectar nutmeg oak onyx opal orchid otter pearl pepper pine plum "
    "quartz raven river robin rowan saffron sage sienna sparrow spruce thistle topaz tulip umber violet walnut willow"
).split()
ERRORS = (
    "column 'age' is missing in dataset {}",
    "the Access Point of mercy ran out of memory after {} batches",
    "the Access Point of lakeside has left the computation in round {}",
    "model did not converge within {} iterations",
    "dataset {} has fewer records than its k-grouping asks for",
    "timeout while waiting for shares, {} of them missing",
    "type mismatch: float64 expected in column {}",
)
