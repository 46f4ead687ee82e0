// Checks an audit log with Go's transparency log packages: verify DIR SPKI.
//
// Nothing of it is ours but the frames: the signed note and the checkpoint, the tiles, the root and an inclusion proof for
// every record are Go's business.
package main

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// ecdsaVerifier is signature type 0x02 of C2SP signed-note.
type ecdsaVerifier struct {
	name string
	hash uint32
	key  *ecdsa.PublicKey
}

func (v ecdsaVerifier) Name() string    { return v.name }
func (v ecdsaVerifier) KeyHash() uint32 { return v.hash }
func (v ecdsaVerifier) Verify(msg, sig []byte) bool {
	digest := sha256.Sum256(msg)
	return ecdsa.VerifyASN1(v.key, digest[:], sig)
}

func main() {
	if err := check(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(dir, spkiFile string) error {
	tree, err := checkpoint(dir, spkiFile)
	if err != nil {
		return err
	}
	records, err := records(dir)
	if err != nil {
		return err
	}
	if int64(len(records)) != tree.N {
		return fmt.Errorf("%d records, the checkpoint is over %d", len(records), tree.N)
	}
	reader := tlog.TileHashReader(tree, &tiles{dir: dir, records: records})
	root, err := tlog.TreeHash(tree.N, reader)
	if err != nil {
		return err
	}
	if root != tree.Hash {
		return fmt.Errorf("root %v, signed was %v", root, tree.Hash)
	}
	for seq, record := range records {
		proof, err := tlog.ProveRecord(tree.N, int64(seq), reader)
		if err != nil {
			return fmt.Errorf("record %d: %v", seq, err)
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, int64(seq), tlog.RecordHash(record)); err != nil {
			return fmt.Errorf("record %d: %v", seq, err)
		}
	}
	fmt.Printf("%d records, all proved under a checkpoint that is signed\n", len(records))
	return nil
}

func checkpoint(dir, spkiFile string) (tlog.Tree, error) {
	var tree tlog.Tree
	spki, err := os.ReadFile(spkiFile)
	if err != nil {
		return tree, err
	}
	key, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return tree, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return tree, err
	}
	origin, _, _ := strings.Cut(string(text), "\n")
	digest := sha256.Sum256(spki)
	verifier := ecdsaVerifier{origin, binary.BigEndian.Uint32(digest[:4]), key.(*ecdsa.PublicKey)}
	signed, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return tree, err
	}
	lines := strings.Split(signed.Text, "\n")
	tree.N, err = strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tree, err
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	copy(tree.Hash[:], root)
	return tree, err
}

func records(dir string) ([][]byte, error) {
	segments, _ := filepath.Glob(filepath.Join(dir, "seg-*.log"))
	sort.Strings(segments)
	var all [][]byte
	for _, segment := range segments {
		octets, err := os.ReadFile(segment)
		if err != nil {
			return nil, err
		}
		for len(octets) >= 8 {
			length := binary.BigEndian.Uint32(octets)
			if length == 0 {
				break
			}
			record := octets[8 : 8+length]
			sum := crc32.ChecksumIEEE(octets[:4])
			if crc32.Update(sum, crc32.IEEETable, record) != binary.BigEndian.Uint32(octets[4:]) {
				return nil, fmt.Errorf("record %d: check sum", len(all))
			}
			var head struct{ Seq int }
			if err := json.Unmarshal(record, &head); err != nil || head.Seq != len(all) {
				return nil, fmt.Errorf("record %d: number %d, %v", len(all), head.Seq, err)
			}
			all = append(all, append([]byte(nil), record...))
			octets = octets[8+length:]
		}
	}
	return all, nil
}

// tiles reads full tiles from the log's files and makes partial ones, which are not stored, from what is below them.
type tiles struct {
	dir     string
	records [][]byte
}

func (t *tiles) Height() int                         { return 8 }
func (t *tiles) SaveTiles([]tlog.Tile, [][]byte)     {}
func (t *tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range wanted {
		data, err := t.read(tile)
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func (t *tiles) read(tile tlog.Tile) ([]byte, error) {
	if tile.W == 1<<8 {
		// Go puts the height into the path, C2SP does not.
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		return os.ReadFile(filepath.Join(t.dir, path))
	}
	var data []byte
	for i := int64(0); i < int64(tile.W); i++ {
		index := tile.N<<8 + i
		hash := tlog.Hash{}
		if tile.L == 0 {
			hash = tlog.RecordHash(t.records[index])
		} else {
			below, err := t.read(tlog.Tile{H: 8, L: tile.L - 1, N: index, W: 1 << 8})
			if err != nil {
				return nil, err
			}
			hash = perfect(below)
		}
		data = append(data, hash[:]...)
	}
	return data, nil
}

// perfect is the root over a full tile.
func perfect(data []byte) tlog.Hash {
	if len(data) == tlog.HashSize {
		var hash tlog.Hash
		copy(hash[:], data)
		return hash
	}
	return tlog.NodeHash(perfect(data[:len(data)/2]), perfect(data[len(data)/2:]))
}
