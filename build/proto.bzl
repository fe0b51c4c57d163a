"""Protobuf-lite messages with JSON tables, from the system's protoc."""

load("//build:cc.bzl", "hearth_library")

def hearth_proto_library(name, srcs, deps = [], json = True):
    """A cc_library of x.pb.h and x.json.h for each x.proto.

    Args:
      name: the library's name.
      srcs: .proto files of this package.
      deps: hearth_proto_library targets whose files are imported.
      json: False for messages that never meet JSON (then there is no x.json.h).
    """
    native.filegroup(
        name = name + "_protos",
        srcs = srcs + [_absolute(d) + "_protos" for d in deps],
    )
    stems = [s[:-len(".proto")] for s in srcs]
    kinds = ["pb"] + (["json"] if json else [])
    outs = ["%s.%s.%s" % (s, kind, ext) for s in stems for kind in kinds for ext in ["h", "cc"]]
    sources = " ".join(["$(location %s)" % s for s in srcs])
    commands = [
        "protoc -I. --cpp_out=lite:$(GENDIR) " + sources,
    ]
    if json:
        commands += [
            "protoc -I. --include_imports --include_source_info --descriptor_set_out=$(@D)/%s.set %s" % (name, sources),
            # Debian's interpreter by path: it is the one that python3-protobuf is for.
            "/usr/bin/python3 $(location //build:json_codegen.py) $(@D)/%s.set $(GENDIR) %s" % (name, sources),
        ]
    native.genrule(
        name = name + "_gen",
        srcs = srcs + [_absolute(d) + "_protos" for d in deps],
        outs = outs,
        cmd = " && ".join(commands),
        tools = ["//build:json_codegen.py"] if json else [],
    )
    hearth_library(
        name = name,
        srcs = [o for o in outs if o.endswith(".cc")],
        hdrs = [o for o in outs if o.endswith(".h")],
        copts = ["-w"],  # not our code
        deps = deps + ["@system//:protobuf_lite"] + (["//proto:json_schema"] if json else []),
    )

def _absolute(label):
    """//a/b becomes //a/b:b, so that a suffix can follow."""
    return label if ":" in label else label + ":" + label.split("/")[-1]
