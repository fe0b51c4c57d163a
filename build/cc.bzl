"""The house's C++ rules: thin wrappers, so that a change of habit is a change of one file."""

COPTS = ["-Wno-missing-field-initializers"]

TSAN_DEPS = select({
    "//build:tsan": ["//build:tsan_absl_mutex"],
    "//conditions:default": [],
})

def hearth_library(name, **kwargs):
    """A cc_library with the house's warnings."""
    native.cc_library(name = name, copts = COPTS + kwargs.pop("copts", []), **kwargs)

def hearth_binary(name, **kwargs):
    """A cc_binary, linked statically in --config=release."""
    native.cc_binary(
        name = name,
        copts = COPTS + kwargs.pop("copts", []),
        linkopts = kwargs.pop("linkopts", []) + select({
            "//build:static": ["-static"],
            "//conditions:default": [],
        }),
        **kwargs
    )

def hearth_test(name, deps = [], **kwargs):
    """A cc_test on GoogleTest."""
    native.cc_test(
        name = name,
        copts = COPTS + kwargs.pop("copts", []),
        deps = deps + ["@system//:gtest_main"] + TSAN_DEPS,
        size = kwargs.pop("size", "small"),
        **kwargs
    )

def hearth_fuzz_test(name, srcs, deps = [], corpus = [], **kwargs):
    """A libFuzzer target.

    With --config=fuzz it is the fuzzer; in every other configuration it is a test that replays the corpus (and the
    empty input) through the same entry point, so that a crash once found stays found.
    """
    native.cc_test(
        name = name,
        srcs = srcs,
        copts = COPTS,
        data = corpus,
        args = select({
            "//build:fuzz": ["-runs=2000", "-max_len=65536"] + (
                ["-seed_inputs=" + ",".join(["$(location %s)" % c for c in corpus])] if corpus else []
            ),
            "//conditions:default": ["$(locations %s)" % c for c in corpus],
        }),
        linkopts = select({
            "//build:fuzz": ["-fsanitize=fuzzer"],
            "//conditions:default": [],
        }),
        deps = deps + select({
            "//build:fuzz": [],
            "//conditions:default": ["//build:fuzz_replay"],
        }) + TSAN_DEPS,
        size = "small",
        tags = kwargs.pop("tags", []) + ["fuzz"],
        **kwargs
    )
