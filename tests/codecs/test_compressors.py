import sys
import tracemalloc
import zlib

import lz4.block
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from cacheplus.codecs.compressors import COMPRESSORS, COMPRESSORS_BY_ID, make_compressor
from cacheplus.exceptions import BadRecord, Flaw, MissingExtra

MEGABYTE = 2**20
BOMB_SIZE = 64 * MEGABYTE


@pytest.fixture(params=COMPRESSORS)
def compressor(request):
    return make_compressor(request.param)


class TestCompressor:
    @given(data=st.binary(max_size=500), times=st.integers(1, 20))
    @pytest.mark.parametrize("name", COMPRESSORS)
    def test_brings_data_back(self, name, data, times):
        compressor, data = make_compressor(name), b"x" + data * times
        assert compressor.decompress(compressor.compress(data), len(data)) == data

    def test_makes_text_smaller(self, compressor):
        assert len(compressor.compress(b"<li>entry</li>" * 100)) < 200

    def test_allows_exactly_the_limit(self, compressor):
        data = compressor.compress(bytes(1000))
        assert len(compressor.decompress(data, 1000)) == 1000
        with pytest.raises(BadRecord) as caught:
            compressor.decompress(data, 999)
        assert caught.value.kind is Flaw.TOO_LARGE

    def test_a_bomb_is_refused_before_it_takes_memory(self, compressor):
        bomb = compressor.compress(bytes(BOMB_SIZE))
        tracemalloc.start()
        try:
            with pytest.raises(BadRecord) as caught:
                compressor.decompress(bomb, MEGABYTE)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert caught.value.kind is Flaw.TOO_LARGE
        assert peak < 4 * MEGABYTE

    def test_the_measure_sees_a_bomb_that_goes_off(self, compressor):
        bomb = compressor.compress(bytes(BOMB_SIZE))
        tracemalloc.start()
        try:
            compressor.decompress(bomb, BOMB_SIZE)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak >= BOMB_SIZE

    @pytest.mark.parametrize("length", range(0, 40, 3))
    def test_cut_data_are_an_error(self, compressor, length):
        data = compressor.compress(bytes(range(200)) * 3)
        with pytest.raises(Exception):  # noqa: B017, PT011 (each library has its own)
            compressor.decompress(data[:length], MEGABYTE)

    def test_is_found_by_its_id(self, compressor):
        assert type(COMPRESSORS_BY_ID[compressor.id]()) is type(compressor)


class TestFormsThatLie:
    def test_zlib_with_something_behind_its_end(self):
        with pytest.raises(ValueError, match="not one whole zlib stream"):
            make_compressor("zlib").decompress(zlib.compress(b"abc") + b"d", MEGABYTE)

    def test_zstd_that_does_not_say_its_size(self):
        stream = zstandard.ZstdCompressor().compressobj()
        frame = stream.compress(bytes(1000)) + stream.flush()
        with pytest.raises(ValueError, match="without its size"):
            make_compressor("zstd").decompress(frame, MEGABYTE)

    @pytest.mark.parametrize("claim", [10, 1001])
    def test_lz4_of_another_size_than_it_says(self, claim):
        block = lz4.block.compress(bytes(1000), store_size=False)
        with pytest.raises(lz4.block.LZ4BlockError):
            make_compressor("lz4").decompress(claim.to_bytes(4, "little") + block, MEGABYTE)


class TestMakeCompressor:
    def test_an_unknown_name_lists_what_there_is(self):
        with pytest.raises(
            ValueError, match='COMPRESSOR \'rar\' is unknown; choose one of "zlib", "zstd", "lz4", or None'
        ):
            make_compressor("rar")

    @pytest.mark.parametrize(
        ("name", "module", "extra"), [("zstd", "zstandard", "zstd"), ("lz4", "lz4.block", "lz4"), ("lz4", "lz4", "lz4")]
    )
    def test_a_missing_library_is_named_with_the_line_that_installs_it(self, monkeypatch, name, module, extra):
        monkeypatch.setitem(sys.modules, module, None)
        monkeypatch.delitem(sys.modules, "lz4.block", raising=False) if module == "lz4" else None
        with pytest.raises(MissingExtra, match=rf"pip install cacheplus\[{extra}\]") as caught:
            make_compressor(name)
        assert caught.value.extra == extra

    def test_an_error_inside_a_library_is_let_out(self, monkeypatch, tmp_path):
        (tmp_path / "zstandard.py").write_text("import a_module_that_is_not_there\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "zstandard")
        with pytest.raises(ModuleNotFoundError, match="a_module_that_is_not_there") as caught:
            make_compressor("zstd")
        assert not isinstance(caught.value, MissingExtra)
