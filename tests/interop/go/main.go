// A client of a C2SP tlog-tiles log, over the packages that Go's own checksum database client uses.
//
//	tlogclient URL VKEY [OLDER-CHECKPOINT-FILE]
//
// It verifies the checkpoint's signature, compares every entry with its hash in the tiles, proves the inclusion of some
// records, and that the log extends an older checkpoint. It prints one line, or says on standard error what did not hold.
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

// get fetches one resource of the log.
func get(url string) ([]byte, error) {
	response, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, response.Status)
	}
	return io.ReadAll(response.Body)
}

// log reads a log's tiles. The paths are those of C2SP, which leave out the tile height.
type log struct {
	prefix string
	tiles  int
}

func (l *log) Height() int { return tileHeight }

func (l *log) SaveTiles([]tlog.Tile, [][]byte) {}

func (l *log) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		path := "tile/" + strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", tileHeight))
		body, err := get(l.prefix + path)
		if err != nil {
			return nil, err
		}
		if len(body) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s has %d bytes", path, len(body))
		}
		data[i] = body
		l.tiles++
	}
	return data, nil
}

// entries reads one entry bundle of exactly width entries.
func (l *log) entries(bundle int64, width int) ([][]byte, error) {
	path := tlog.Tile{H: tileHeight, L: 0, N: bundle, W: width}.Path()
	path = "tile/entries/" + strings.TrimPrefix(path, fmt.Sprintf("tile/%d/0/", tileHeight))
	data, err := get(l.prefix + path)
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for len(data) > 0 {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("%s ends inside an entry", path)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		entries, data = append(entries, data[2:end]), data[end:]
	}
	if len(entries) != width {
		return nil, fmt.Errorf("%s has %d entries", path, len(entries))
	}
	return entries, nil
}

// open verifies a checkpoint and returns its tree.
func open(data []byte, verifier note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open(data, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() || lines[3] != "" {
		return tlog.Tree{}, fmt.Errorf("not a checkpoint of %s", verifier.Name())
	}
	var tree tlog.Tree
	if _, err := fmt.Sscanf(lines[1], "%d", &tree.N); err != nil {
		return tlog.Tree{}, err
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}

// records compares every entry with its leaf hash, and proves that those of a sample, and the last, are in the tree.
func (l *log) records(tree tlog.Tree, hashes tlog.HashReader) (checked int, err error) {
	for first := int64(0); first < tree.N; first += tileWidth {
		width := int(min(tileWidth, tree.N-first))
		entries, err := l.entries(first/tileWidth, width)
		if err != nil {
			return checked, err
		}
		places := make([]int64, width)
		for i := range places {
			places[i] = tlog.StoredHashIndex(0, first+int64(i))
		}
		leaves, err := hashes.ReadHashes(places)
		if err != nil {
			return checked, err
		}
		for i, entry := range entries {
			index := first + int64(i)
			if tlog.RecordHash(entry) != leaves[i] {
				return checked, fmt.Errorf("entry %d is not the one in the tree", index)
			}
			if index%97 != 0 && index != tree.N-1 {
				continue
			}
			proof, err := tlog.ProveRecord(tree.N, index, hashes)
			if err != nil {
				return checked, err
			}
			if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)); err != nil {
				return checked, fmt.Errorf("record %d: %w", index, err)
			}
			checked++
		}
	}
	return checked, nil
}

func run(prefix, vkey string, older []string) error {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return err
	}
	l := &log{prefix: strings.TrimSuffix(prefix, "/") + "/"}
	data, err := get(l.prefix + "checkpoint")
	if err != nil {
		return err
	}
	tree, err := open(data, verifier)
	if err != nil {
		return err
	}
	hashes := tlog.TileHashReader(tree, l)
	checked, err := l.records(tree, hashes)
	if err != nil {
		return err
	}
	for _, file := range older {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		old, err := open(data, verifier)
		if err != nil {
			return err
		}
		proof, err := tlog.ProveTree(tree.N, old.N, hashes)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash); err != nil {
			return fmt.Errorf("from %d to %d: %w", old.N, tree.N, err)
		}
		fmt.Printf("consistent %d %d\n", old.N, tree.N)
	}
	fmt.Printf("verified %d records %d\n", tree.N, checked)
	return nil
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: tlogclient URL VKEY [OLDER-CHECKPOINT-FILE]...")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "tlogclient:", err)
		os.Exit(1)
	}
}
