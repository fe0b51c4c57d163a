"""Turns devices/virtio/devices.bzl into code."""

load("//build:cc.bzl", "hearth_library")

def virtio_device_table(name, devices, **kwargs):
    """Two libraries: `name`, the modules' table, and `name`_samples, the samples' for tests.

    A device folder NAME has the targets //devices/virtio/NAME:module (module.h) and :sample (sample.h).

    Args:
      name: of the library; its header is NAME.h, hand-written.
      devices: the list of folders.
      **kwargs: for both libraries.
    """
    _generate(
        name + "_cc",
        name + ".cc",
        devices,
        "module.h",
        name + ".h",
        "absl::Span<const DeviceModule* const> DeviceModules() {\n" +
        "  static constexpr const DeviceModule* kModules[] = {" +
        ", ".join(["&%s::kModule" % d for d in devices]) +
        "};\n  return kModules;\n}",
    )
    hearth_library(
        name = name,
        srcs = [name + ".cc"],
        hdrs = [name + ".h"],
        deps = ["//devices/virtio/%s:module" % d for d in devices] + ["//devices/virtio/core", "@system//:absl"],
        **kwargs
    )
    samples = name + "_samples"
    _generate(
        samples + "_cc",
        samples + ".cc",
        devices,
        "sample.h",
        samples + ".h",
        "absl::Span<const NamedSample> DeviceSamples() {\n" +
        "  static constexpr NamedSample kSamples[] = {" +
        ", ".join(["{\"%s\", &%s::MakeSample}" % (d, d) for d in devices]) +
        "};\n  return kSamples;\n}",
    )
    hearth_library(
        name = samples,
        testonly = True,
        srcs = [samples + ".cc"],
        hdrs = [samples + ".h"],
        deps = ["//devices/virtio/%s:sample" % d for d in devices] + ["//devices/virtio/core:testing", "@system//:absl"],
        **kwargs
    )

def _generate(name, out, devices, header, own_header, body):
    lines = ["// Generated from devices/virtio/devices.bzl."]
    lines += ["#include \"devices/virtio/%s\"" % own_header]
    lines += ["#include \"devices/virtio/%s/%s\"" % (d, header) for d in devices]
    lines += ["", "namespace hearth::virtio {", "", body, "", "}  // namespace hearth::virtio"]
    native.genrule(
        name = name,
        outs = [out],
        cmd = "cat > $@ <<'END'\n" + "\n".join(lines).replace("$", "$$") + "\nEND",
    )
