package daemon

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// maxSecretFile is the size beyond which a file is not the one that holds a secret.
const maxSecretFile = 64 << 10

// AddSettings gives cmd a flag for each setting of cfg, a pointer to a struct, and fills cfg from flags, environment and
// defaults before cmd runs. When cfg has a method Validate() error, that is called then. All complaints are usage
// errors. Commands that share settings call it once each, with the same struct or different ones.
func AddSettings(cmd *cobra.Command, cfg any) {
	settings, err := Settings(cfg)
	for _, s := range settings {
		s.addFlag(cmd.Flags())
	}
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if err != nil {
			return err
		}
		given := make(map[string]string)
		cmd.Flags().Visit(func(f *pflag.Flag) {
			if v, ok := f.Value.(*settingValue); ok {
				given[f.Name] = v.text
			}
		})
		return load(cfg, settings, env.ToMap(os.Environ()), given)
	}
}

// Load fills cfg, a pointer to a struct, from environ and the defaults, as AddSettings does. It is for tests and for
// programs without flags.
func Load(cfg any, environ map[string]string) error {
	settings, err := Settings(cfg)
	if err != nil {
		return err
	}
	return load(cfg, settings, environ, nil)
}

func load(cfg any, settings []Setting, environ, flags map[string]string) error {
	values := maps.Clone(environ)
	if values == nil {
		values = make(map[string]string) // for package env, a nil map means the environment of the process
	}
	from := make(map[string]string, len(settings)) // key -> where its value comes from, for error messages
	for _, s := range settings {
		value, source, err := s.lookup(environ, flags)
		if err != nil {
			return WithCode(ExitUsage, err)
		}
		from[s.Key] = source
		if values[s.Key] = value; value == "" {
			delete(values, s.Key)
		}
	}
	err := env.ParseWithOptions(cfg, env.Options{
		Environment: values,
		FuncMap: map[reflect.Type]env.ParserFunc{
			reflect.TypeFor[time.Duration](): func(v string) (any, error) { return ParseDuration(v) },
		},
	})
	if err != nil {
		return WithCode(ExitUsage, settingsError(err, settings, values, from))
	}
	noteFiles(cfg, settings, environ, flags)
	if v, ok := cfg.(interface{ Validate() error }); ok {
		return WithCode(ExitUsage, v.Validate())
	}
	return nil
}

// lookup returns the text that the user gave for s, "" for none, and where it comes from.
func (s Setting) lookup(environ, flags map[string]string) (value, source string, err error) {
	if v, ok := flags[s.Flag]; ok {
		return v, "--" + s.Flag, nil
	}
	if path, source := s.secretFile(environ, flags); path != "" {
		if source == s.fileKey() && environ[s.Key] != "" {
			return "", "", fmt.Errorf("%s and %s are both set: keep one", s.Key, s.fileKey())
		}
		value, err = readSecret(source, path)
		return value, source, err
	}
	for _, key := range append([]string{s.Key}, s.Aliases...) {
		if v := environ[key]; v != "" {
			return v, key, nil
		}
	}
	return "", s.Key, nil
}

// secretFile is the file that holds the secret s, "" for none, and the name of what says so.
func (s Setting) secretFile(environ, flags map[string]string) (path, source string) {
	switch {
	case !s.Secret:
		return "", ""
	case flags[s.fileFlag()] != "":
		return flags[s.fileFlag()], "--" + s.fileFlag()
	}
	return environ[s.fileKey()], s.fileKey()
}

// noteFiles makes the secrets in cfg remember the files that they were read from.
func noteFiles(cfg any, settings []Setting, environ, flags map[string]string) {
	fields := reflect.ValueOf(cfg).Elem()
	for _, s := range settings {
		if path, _ := s.secretFile(environ, flags); path != "" {
			secret := fields.FieldByName(s.field).Addr().Interface().(*Secret) //nolint:forcetypeassert // what Settings found out
			secret.file = path
		}
	}
}

func readSecret(source, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", source, err)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("%s: %w", source, err)
	}
	secret := strings.TrimSpace(string(b))
	if secret == "" || len(b) > maxSecretFile {
		return "", fmt.Errorf("%s: %s is empty or larger than 64 KiB: it must hold the secret and nothing else", source, path)
	}
	return secret, nil
}

// settingsError says each problem in the words of the user: the flag or variable, not the field of the struct.
func settingsError(err error, settings []Setting, values, from map[string]string) error {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return err
	}
	var texts []string
	for _, e := range all.Errors {
		texts = append(texts, settingError(e, settings, values, from))
	}
	return errors.New(strings.Join(texts, "; "))
}

func settingError(err error, settings []Setting, values, from map[string]string) string {
	var parse env.ParseError
	if errors.As(err, &parse) {
		for _, s := range settings {
			switch {
			case s.field != parse.Name:
			case s.Secret:
				return fmt.Sprintf("%s: %v", from[s.Key], parse.Err)
			default:
				return fmt.Sprintf("%s %q: %v", from[s.Key], values[s.Key], reason(parse.Err))
			}
		}
	}
	var unset env.VarIsNotSetError
	var empty env.EmptyVarError
	if errors.As(err, &unset) || errors.As(err, &empty) {
		key := unset.Key + empty.Key
		for _, s := range settings {
			if s.Key == key {
				return fmt.Sprintf("%s is not set: give it in the environment or as --%s", key, s.Flag)
			}
		}
	}
	return err.Error()
}

// reason replaces the errors of package strconv by what the user can do.
func reason(err error) error {
	var num *strconv.NumError
	switch {
	case !errors.As(err, &num):
		return err
	case num.Func == "ParseBool":
		return errors.New("want true or false")
	case errors.Is(err, strconv.ErrRange):
		return errors.New("the number is out of range")
	}
	return errors.New("want a number")
}

// settingValue is the value of a flag: text, which is parsed together with the environment.
type settingValue struct {
	Setting
	text string
}

func (v *settingValue) String() string { return v.text }

// Type is the placeholder in messages of package pflag.
func (v *settingValue) Type() string { return v.Value }

// Set keeps the last text, or all of them for a list.
func (v *settingValue) Set(text string) error {
	if v.isList && v.text != "" {
		text = v.text + "," + text
	}
	v.text = text
	return nil
}

func (s Setting) addFlag(flags *pflag.FlagSet) {
	v := &settingValue{Setting: s}
	if s.Secret {
		flags.Var(v, s.fileFlag(), s.Help)
		flags.Var(secretFlag(s), s.Flag, "")
		flags.Lookup(s.Flag).Hidden = true
		return
	}
	flags.Var(v, s.Flag, s.Help)
	if s.Value == "" {
		flags.Lookup(s.Flag).NoOptDefVal = "true"
	}
}

// secretFlag refuses a secret on the command line, and says where it belongs.
type secretFlag Setting

func (secretFlag) String() string { return "" }

// Type is unused: the flag is not listed.
func (secretFlag) Type() string { return "" }

// Set refuses.
func (f secretFlag) Set(string) error {
	return fmt.Errorf("command lines are public: put the secret into %s or a file named by --%s", f.Key, Setting(f).fileFlag())
}
