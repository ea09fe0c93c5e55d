package pki

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// maxFile bounds what is read of a key or certificate file.
const maxFile = 1 << 20

func damaged(file, reason string) error {
	return fmt.Errorf("pki: %s: %s: restore the file from a backup, or move the folder %s away to have everything made anew (clients must then trust the new CA)", file, reason, filepath.Dir(file))
}

// exist says whether both files are there. A certificate without its key is an
// error; a key without its certificate was never finished: the caller makes what
// is missing.
func exist(cert, key string) (bool, error) {
	_, certErr := os.Stat(cert)
	_, keyErr := os.Stat(key)
	switch {
	case certErr == nil && keyErr == nil:
		return true, nil
	case errors.Is(certErr, fs.ErrNotExist) && (keyErr == nil || errors.Is(keyErr, fs.ErrNotExist)):
		return false, nil
	case certErr == nil && errors.Is(keyErr, fs.ErrNotExist):
		return false, damaged(key, "the file is missing, and "+filepath.Base(cert)+" is there")
	case keyErr != nil && !errors.Is(keyErr, fs.ErrNotExist):
		return false, unreadable(keyErr)
	}
	return false, unreadable(certErr)
}

func unreadable(err error) error {
	return fmt.Errorf("pki: %w: make the folder and its files readable for the user that runs weir", err)
}

func readPair(certFile, keyFile string) (*tls.Certificate, error) {
	cert, err := read(certFile)
	if err != nil {
		return nil, err
	}
	key, err := read(keyFile)
	if err != nil {
		return nil, err
	}
	if _, err := parseKey(keyFile, key); err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(cert); block == nil || block.Type != "CERTIFICATE" {
		return nil, damaged(certFile, "there is no PEM block CERTIFICATE in it")
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, damaged(certFile, err.Error())
	}
	return &pair, nil
}

func parseKey(file string, text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, damaged(file, "there is no PEM block PRIVATE KEY in it")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	signer, ok := key.(crypto.Signer)
	if err != nil || !ok {
		return nil, damaged(file, "the key cannot be read") // err might quote it
	}
	return signer, nil
}

func read(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err == nil && info.Size() > maxFile {
		return nil, damaged(file, "it is larger than 1 MB")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, unreadable(err)
	}
	return text, nil
}

// writePair writes the key, then the certificate: a certificate on disk always
// has its key.
//
// A renewal replaces both files, and a crash between the two leaves the new key
// beside the old certificate. The pair is then removed before: what is not
// there is made at the next start, what does not match would stop it.
func writePair(certFile, keyFile string, key crypto.Signer, cert []byte) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("pki: encoding a key: %w", err)
	}
	if err := os.Remove(certFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("pki: replacing a certificate: %w", err)
	}
	if err := write(keyFile, 0o600, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})); err != nil {
		return err
	}
	return write(certFile, 0o644, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
}

// write makes the file whole or not at all, and durable with its name.
func write(file string, mode os.FileMode, text []byte) error {
	err := func() error {
		f, err := os.OpenFile(file+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
		if err != nil {
			return err
		}
		_, err = f.Write(text)
		if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
			return err
		}
		if err := os.Rename(file+".new", file); err != nil {
			return err
		}
		return syncDir(filepath.Dir(file))
	}()
	if err != nil {
		return fmt.Errorf("pki: writing %s: %w", file, err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Expiry reads the files of dir as Open does, changes nothing, and returns the
// end of the server certificate. The error is fs.ErrNotExist where Open would
// make everything.
func Expiry(dir string, now time.Time) (time.Time, error) {
	caCert, caKey := filepath.Join(dir, caFile), filepath.Join(dir, caKeyFile)
	there, err := exist(caCert, caKey)
	if err != nil {
		return time.Time{}, err
	}
	if !there {
		return time.Time{}, fmt.Errorf("pki: %s: %w", caCert, fs.ErrNotExist)
	}
	ca, err := readPair(caCert, caKey)
	if err != nil {
		return time.Time{}, err
	}
	if now.After(ca.Leaf.NotAfter) {
		return time.Time{}, damaged(caCert, "it ended on "+ca.Leaf.NotAfter.Format(time.DateOnly))
	}
	cert, key := filepath.Join(dir, serverFile), filepath.Join(dir, serverKey)
	if there, err = exist(cert, key); err != nil {
		return time.Time{}, err
	}
	if !there {
		return ca.Leaf.NotAfter, nil // the next start makes one
	}
	server, err := readPair(cert, key)
	if err != nil {
		return time.Time{}, err
	}
	return server.Leaf.NotAfter, nil
}
