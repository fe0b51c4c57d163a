# SPDX-License-Identifier: Apache-2.0
"""What bench/block and bench/net share: VMMs side by side under a polled guest, and what an operation costs them.

A guest prints "go", works for a number of TSC cycles, prints a line of results and then spins. Between the two lines the
VMM's threads are read from /proc: CPU time to the nanosecond, of the vCPU's thread and of all others. System calls are
counted in a run of their own, by perf, which costs time.
"""
import json
import os
import re
import select
import shutil
import signal
import statistics
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MEM_MIB = 128
QEMU_MACHINE = 'microvm,acpi=off,x-option-roms=off,pit=off,pic=off,rtc=off,isa-serial=on'
VCPU_THREAD = re.compile(r'vcpu|CPU \d+/KVM')
START_LIMIT_S = 30
# System calls are counted for so long, in a run that lasts a while longer.
CALLS_S = 0.5
CALLS_RUN_S = 3


def note(text):
    print(f'bench: {text}', file=sys.stderr, flush=True)


def build(output_base=None):
    """The programs of a release build: {'hearth': path, 'guests': folder}."""
    if 'HEARTH_BIN_DIR' in os.environ:
        out = os.environ['HEARTH_BIN_DIR']
    else:
        bazel = ['bazel', *([f'--output_base={output_base}'] if output_base else [])]
        subprocess.run([*bazel, 'build', '--config=release', '--noshow_progress', '--ui_event_filters=-info',
                        '//runtime/vmm:hearth', '//integration-tests/guests'], cwd=TOP, check=True)
        out = subprocess.run([*bazel, 'info', '--config=release', 'bazel-bin'], cwd=TOP, check=True, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.strip()
    return {'hearth': f'{out}/runtime/vmm/hearth', 'guests': f'{out}/integration-tests/guests'}


class Firecracker:
    """Hearth, or another VMM that takes Firecracker's configuration file: `command` with the file's path behind it."""

    def __init__(self, name, command, io_threads=None):
        self.name = name
        self.words = command
        self.io_threads = io_threads  # Hearth's own: the interfaces are on the second

    def command(self, folder, guest, arguments, drives=(), nics=(), extra=()):
        del extra  # QEMU's
        config = {'boot-source': {'kernel_image_path': guest, 'boot_args': arguments},
                  'machine-config': {'vcpu_count': 1, 'mem_size_mib': MEM_MIB}}
        if drives:
            config['drives'] = [{'drive_id': f'd{i}', 'is_root_device': False, 'is_read_only': False,
                                 'cache_type': 'Writeback', 'io_engine': 'Async', **drive} for i, drive in enumerate(drives)]
        if nics:
            config['network-interfaces'] = [{'iface_id': f'n{i}', 'host_dev_name': nic} for i, nic in enumerate(nics)]
        if self.io_threads:
            config['machine-config']['io_threads'] = self.io_threads
            for nic in config.get('network-interfaces', []):
                nic['io_thread'] = 1
        path = os.path.join(folder, re.sub(r'\W', '_', self.name) + '.json')
        with open(path, 'w', encoding='utf-8') as file:
            json.dump(config, file)
        return [*self.words, path]


class Qemu:
    """Its microvm machine, in its leanest form; with `iothread`, the devices that can have a thread of their own do."""

    def __init__(self, iothread=False):
        self.name = 'qemu iothread' if iothread else 'qemu'
        self.iothread = iothread

    def command(self, folder, guest, arguments, drives=(), nics=(), extra=()):
        del folder
        # Its ARCH_CAPABILITIES MSR is one that a paravirtual KVM may refuse.
        words = ['qemu-system-x86_64', '-accel', 'kvm', '-cpu', 'host,-arch-capabilities', '-M', QEMU_MACHINE, '-m',
                 str(MEM_MIB), '-name', 'bench,debug-threads=on', '-nodefaults', '-no-user-config', '-display', 'none',
                 '-serial', 'stdio', '-no-reboot', '-global', 'virtio-mmio.force-legacy=false', '-kernel', guest, '-append',
                 arguments]
        if self.iothread:
            words += ['-object', 'iothread,id=io0']
        for i, drive in enumerate(drives):
            direct = 'on' if drive.get('direct') else 'off'
            words += ['-drive', f'file={drive["path_on_host"]},format=raw,if=none,id=d{i},aio=io_uring,cache.direct={direct}',
                      '-device', f'virtio-blk-device,drive=d{i}' + (',iothread=io0' if self.iothread else '')]
        for i, nic in enumerate(nics):
            words += ['-netdev', f'tap,id=n{i},ifname={nic},script=no,downscript=no,vhost=off',
                      '-device', f'virtio-net-device,netdev=n{i}']
        return words + list(extra)


def go_first():
    """Before all others on this machine: by itself, and by its session, where the scheduler groups sessions."""
    try:
        os.setsid()
    except PermissionError:
        pass  # it leads one already
    os.setpriority(os.PRIO_PROCESS, 0, -20)
    if os.path.exists('/proc/self/autogroup'):
        with open('/proc/self/autogroup', 'w', encoding='ascii') as file:
            file.write('-20')


def peers(options, paths, hearth_io_threads=False, qemu_iothread=False):
    if options.nice:
        go_first()
    command = [paths['hearth'], '--no-api', '--config-file']
    found = [Firecracker('hearth', command)]
    if hearth_io_threads:
        found.append(Firecracker('hearth, 2 io', command, io_threads=2))
    if shutil.which('qemu-system-x86_64'):
        found += [Qemu(), Qemu(iothread=True)] if qemu_iothread else [Qemu()]
    else:
        note('skipped, because qemu-system-x86_64 is not installed: QEMU')
    for peer in options.peer:
        name, _, command = peer.partition('=')
        if not command:
            sys.exit(f'bench: --peer {peer}: give NAME=COMMAND, which gets the path of a configuration file as its last word')
        found.append(Firecracker(name, command.split()))
    return [vmm for vmm in found if not options.only or vmm.name in options.only]


def add_arguments(parser):
    parser.add_argument('--out', metavar='FILE', help='writes all figures there, as JSON')
    parser.add_argument('--rounds', type=int, default=5, help='of every case and VMM, in turn (5)')
    parser.add_argument('--seconds', type=float, default=2, help='that a guest works in a round (2)')
    parser.add_argument('--only', action='append', default=[], metavar='NAME', help='of the VMMs: hearth, qemu, ...')
    parser.add_argument('--case', action='append', default=[], metavar='WORD', help='only cases with this word in the name')
    parser.add_argument('--nice', action='store_true', help='runs the VMMs before all others, for a machine that is not idle')
    parser.add_argument('--no-syscalls', action='store_true', help='does not count system calls')
    parser.add_argument('--peer', action='append', default=[], metavar='NAME=COMMAND',
                        help='another VMM that takes Firecracker\'s configuration file')
    parser.add_argument('--output-base', metavar='DIR', help='of Bazel')


class Vm:
    """A running VMM and what its guest says."""

    def __init__(self, command, prefix=(), log=subprocess.DEVNULL):
        self.process = subprocess.Popen([*prefix, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        self.text = b''

    def until(self, pattern, limit_s):
        """Waits for a line; returns its match and when it came."""
        deadline = time.monotonic() + limit_s
        while True:
            match = re.search(pattern.encode(), self.text, re.MULTILINE)
            if match:
                return match, time.monotonic()
            if b'FAILED: ' in self.text or time.monotonic() > deadline:
                raise RuntimeError(f'no {pattern!r} from the guest: {self.text.decode(errors="replace")!r}')
            if select.select([self.process.stdout], [], [], 1)[0]:
                data = os.read(self.process.stdout.fileno(), 65536)
                if not data:
                    raise RuntimeError(f'the VMM ended: {self.text.decode(errors="replace")!r}')
                self.text += data

    def end(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


def threads(pid):
    """{thread: (name, CPU ns)}. A thread of io_uring is one too."""
    found = {}
    for tid in os.listdir(f'/proc/{pid}/task'):
        try:
            with open(f'/proc/{pid}/task/{tid}/schedstat', encoding='ascii') as file:
                cpu_ns = int(file.read().split()[0])
            with open(f'/proc/{pid}/task/{tid}/comm', encoding='utf-8') as file:
                found[tid] = (file.read().strip(), cpu_ns)
        except OSError:
            pass  # it ended
    return found


def pin(pid):
    """The vCPU to the first CPU, all other threads to the others: or it is chance whether they get into each other's way."""
    first, *others = sorted(os.sched_getaffinity(0))
    for tid, (name, _) in threads(pid).items():
        try:
            os.sched_setaffinity(int(tid), [first] if VCPU_THREAD.search(name) or not others else others)
        except OSError:
            pass  # it ended, or is the kernel's


def cpu_between(before, after):
    """CPU ns of the vCPU threads, and of all others."""
    spent = [0, 0]
    for tid, (name, cpu_ns) in after.items():
        spent[0 if VCPU_THREAD.search(name) else 1] += cpu_ns - before.get(tid, (name, 0))[1]
    return spent


def private_dirty_kib(pid):
    """Without the guest's memory."""
    total, size = 0, 0
    with open(f'/proc/{pid}/smaps', encoding='utf-8') as file:
        for line in file:
            if line.startswith('Size:'):
                size = int(line.split()[1])
            elif line.startswith('Private_Dirty:') and size < MEM_MIB << 9:
                total += int(line.split()[1])
    return total


def fields(line):
    return {key: int(value) for key, value in re.findall(r' (\w+)=(\d+)', line)}


def sample(vmm, folder, guest, arguments, seconds, prefix=(), count_calls=False, **devices):
    """One run; the guest's fields, `wall_s`, and the VMM's CPU time or its system calls a second."""
    command = vmm.command(folder, guest, f'{arguments} exit=loop', **devices)
    with open(os.path.join(folder, 'log'), 'wb') as log:
        vm = Vm(command, prefix, log)
    try:
        _, began = vm.until(r'^go\r?$', START_LIMIT_S)
        pin(vm.process.pid)
        before = threads(vm.process.pid)
        calls = system_calls(vm.process.pid, CALLS_S) if count_calls else None
        match, ended = vm.until(r'^\w+_io: .*\n', START_LIMIT_S + seconds * 10)
        vcpu_ns, other_ns = cpu_between(before, threads(vm.process.pid))
    finally:
        vm.end()
    result = fields(match[0].decode())
    result.update(wall_s=ended - began, vcpu_ns=vcpu_ns, other_ns=other_ns, system_calls_per_s=calls)
    return result


def system_calls(pid, seconds):
    """All threads' in a second, or None where perf cannot count them."""
    if not shutil.which('perf'):
        return None
    done = subprocess.run(['perf', 'stat', '-x', ';', '-e', 'raw_syscalls:sys_enter', '-p', str(pid), '--', 'sleep',
                           str(seconds)], text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    for line in done.stderr.splitlines():
        words = line.split(';')
        if len(words) > 2 and words[0].isdigit():
            return int(words[0]) / seconds
    return None


def find_tsc_khz(vmm, folder, guest, arguments, prefix=(), **devices):
    """By a guest whose `arguments` let it wait for some cycles, while we look at the clock."""
    result = sample(vmm, folder, guest, f'{arguments} cycles=2000000000', 1, prefix, **devices)
    return result['cycles'] / result['wall_s'] / 1000


def median(samples, field):
    values = [taken[field] for taken in samples if taken.get(field) is not None]
    return statistics.median(values) if values else None


def show(title, results, rows):
    """`results`: {VMM: {field: value}}, Hearth's first; `rows`: (label, field, digits)."""
    names = list(results)
    ours = results.get('hearth', {})
    width = max(len(title), *(len(label) for label, _, _ in rows))
    ratios = [name for name in names if name != 'hearth'] if ours else []
    print(f'\n{title:{width}}', *(f'{name:>14}' for name in names), *(f'{"/ " + name:>16}' for name in ratios))
    for label, field, digits in rows:
        values = [results[name].get(field) for name in names]
        if all(value is None for value in values):
            continue
        cells = ['-' if value is None else f'{value:.{digits}f}' for value in values]
        compared = ['' if not ours.get(field) or not results[name].get(field) else f'{ours[field] / results[name][field]:.2f}'
                    for name in ratios]
        print(f'{label:{width}}', *(f'{cell:>14}' for cell in cells), *(f'{cell:>16}' for cell in compared))


def measure(vmms, cases, options, run):
    """`run(vmm, case, count_calls)` for every VMM and case in turn, `rounds` times; {case: {vmm: [samples]}}.

    A VMM that fails a case is left out of it, and said so.
    """
    wanted = [case for case in cases if not options.case or any(word in case for word in options.case)]
    samples = {case: {vmm.name: [] for vmm in vmms} for case in wanted}
    broken = set()
    for done in range(options.rounds + (0 if options.no_syscalls else 1)):
        calls = done == options.rounds
        note('counting system calls' if calls else f'round {done + 1} of {options.rounds}')
        for case in wanted:
            for vmm in vmms:
                if (vmm.name, case) in broken:
                    continue
                try:
                    samples[case][vmm.name].append(dict(run(vmm, case, calls), calls=calls))
                except RuntimeError as error:
                    broken.add((vmm.name, case))
                    note(f'{vmm.name}: {case}: {error}')
    return samples


def figures(samples, count_field, khz):
    """Medians of what an operation costs; `count_field` says how many there were."""
    for taken in samples:
        seconds = taken['cycles'] / khz / 1000
        operations = max(taken[count_field], 1)
        taken['per_s'] = operations / seconds
        if taken['calls']:
            if taken['system_calls_per_s'] is not None:
                taken['calls_per_op'] = taken['system_calls_per_s'] / taken['per_s']
            taken['per_s'] = None  # perf was in the way
            continue
        taken['us_per_op'] = seconds * 1e6 / operations
        taken['cpu_us_per_op'] = (taken['vcpu_ns'] + taken['other_ns']) / 1000 / operations
        taken['io_cpu_us_per_op'] = taken['other_ns'] / 1000 / operations
        taken['kicks_per_op'] = taken['kicks'] / operations
        for name in ('p50', 'p99', 'mean'):
            if name in taken:
                taken[f'{name}_us'] = taken[name] * 1000 / khz
    names = ('per_s', 'us_per_op', 'cpu_us_per_op', 'io_cpu_us_per_op', 'kicks_per_op', 'calls_per_op', 'mean_us', 'p50_us',
             'p99_us')
    return {name: median(samples, name) for name in names}
