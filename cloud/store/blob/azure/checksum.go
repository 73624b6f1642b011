package azure

import (
	"bytes"
	"crypto/md5" // the service checks a block against it; no secret depends on it
	"encoding/binary"
	"errors"
	"hash/crc64"
	"net/http"
	"strings"
	"sync/atomic"

	az "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"cattlecounter/cloud/store/azstorage"
)

// crcTable is the CRC64 of Azure Storage (header x-ms-content-crc64 of Put Block).
var crcTable = crc64.MakeTable(0x9A6C9329AC4BC9B5)

// errUnchecked says that the service has not checked a block that came with a CRC64. It is sent again with an MD5.
var errUnchecked = errors.New("the storage did not confirm the CRC64 of a block")

// checksums decides what a block is checked by. MD5 is known to every service and costs the processor three times as much
// as CRC64, which emulators refuse. The service's name in its answers decides; a CRC64 that it does not confirm ends its use.
type checksums struct {
	crc, never atomic.Bool
}

// of makes the service compare the content that arrives with its checksum.
func (c *checksums) of(content []byte) az.TransferValidationType {
	if c.crc.Load() && !c.never.Load() {
		return az.TransferValidationTypeCRC64(crc64.Checksum(content, crcTable))
	}
	return md5Of(content)
}

func md5Of(content []byte) az.TransferValidationType {
	sum := md5.Sum(content) // see above
	return az.TransferValidationTypeMD5(sum[:])
}

// learn reads the answer to a block. answer may be nil, when no answer was captured.
func (c *checksums) learn(answer *http.Response, sent az.TransferValidationType, confirmed []byte) error {
	if sum, used := sent.(az.TransferValidationTypeCRC64); used {
		if bytes.Equal(confirmed, binary.LittleEndian.AppendUint64(nil, uint64(sum))) {
			return nil
		}
		c.never.Store(true)
		return errUnchecked
	}
	if answer != nil && strings.HasPrefix(answer.Header.Get("Server"), "Windows-Azure-Blob/") {
		c.crc.Store(true)
	}
	return nil
}

// retryDamaged repeats send when the content arrived damaged. The emulator reports a wrong checksum as an invalid
// operation.
func retryDamaged(send func() error) error {
	for try := 1; ; try++ {
		err := send()
		damaged := errors.Is(err, errUnchecked) || bloberror.HasCode(err, bloberror.MD5Mismatch, bloberror.CRC64Mismatch, bloberror.InvalidOperation)
		if !damaged || try > azstorage.Retries {
			return err
		}
	}
}
