// SPDX-License-Identifier: Apache-2.0
// What <linux/if_tun.h> of older kernels lacks.
#ifndef HEARTH_DEVICES_VIRTIO_NET_TUN_ABI_H_
#define HEARTH_DEVICES_VIRTIO_NET_TUN_ABI_H_

#include <linux/if_tun.h>

// UDP segmentation offload, Linux 6.2.
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#endif  // HEARTH_DEVICES_VIRTIO_NET_TUN_ABI_H_
