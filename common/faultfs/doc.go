// Package faultfs is a disk for tests that fails when it is told to and forgets what was never made durable.
//
// A [Disk] lives in memory and is put behind a mount point with FUSE, so that real programs use it through real system calls. It
// numbers every operation that changes it ([Op]), and a [Plan] says which of them fail, and how ([Fault]). It keeps two states: what
// processes see, and what would be left if the power went out now. [Disk.PowerCut] returns such a disk, and since POSIX leaves open
// what becomes of whatever was not fsynced, an [Outcome] chooses among the possibilities.
//
// # What is durable
//
//   - The bytes, size and times of a file as of the last fsync of that file that succeeded. After one that failed, the pages that
//     were to be written count as clean although they were not: a later fsync does not bring them to the disk, either (that is
//     what Linux does, and what PostgreSQL called fsyncgate).
//   - The entries of a directory as of its last fsync. The fsync of a new file says nothing of its name.
//
// What came later is lost, kept, or mixed: of a file each 4 KiB page by itself, of a directory a prefix of its changes, where a
// rename inside of one directory is one change. Between files and directories no order is kept, so that a name may reach the disk
// before the bytes behind it: the classic empty file.
//
// # What it is not
//
// The mount writes through: no write waits in the kernel. syncfs(2) does not reach a FUSE file system, so programs that rely on it
// are not tested by this. There are no symbolic links, devices, quotas or extended attributes. Permissions are stored and not
// enforced. Locks are the kernel's own. It needs Linux and /dev/fuse; elsewhere the package is empty.
package faultfs
