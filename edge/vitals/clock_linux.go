package vitals

import "golang.org/x/sys/unix"

// staUnsync is STA_UNSYNC of adjtimex(2).
const staUnsync = 0x0040

// disciplined reports whether a time service keeps the kernel's clock.
func disciplined() bool {
	var t unix.Timex
	_, err := unix.Adjtimex(&t)
	return err == nil && t.Status&staUnsync == 0
}
